"""The contracts, as checks that anyone can run on a class of their own.

Each check is a function named for its promise; it takes the object, returns nothing, and raises AssertionError with a
sentence where the promise is broken. Each file holds one kind of object and a tuple of all its checks:

    import pytest
    from feint.testing.augmentations import AUGMENTATION_CHECKS

    @pytest.mark.parametrize("check", AUGMENTATION_CHECKS)
    def test_my_augmentation(check):
        check(MyAugmentation())

A check that says nothing about an object raises `unittest.SkipTest`, which pytest and unittest report as skipped.
"""
