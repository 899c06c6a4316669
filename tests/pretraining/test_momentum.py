import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from feint.pretraining.momentum import follow, momentum, teacher_of


def test_it_rises_from_the_start_to_1_along_half_a_cosine():
    assert [momentum(0.99, progress) for progress in (0.0, 0.5, 1.0)] == pytest.approx([0.99, 0.995, 1.0], abs=1e-12)


@given(start=st.floats(0, 1), progress=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_it_never_falls_and_stays_between_start_and_1(start, progress):
    early, late = (momentum(start, each) for each in sorted(progress))
    assert start - 1e-12 <= early <= late + 1e-12 <= 1 + 2e-12


@pytest.mark.parametrize("tau", [0.0, 0.25, 1.0])
def test_the_teacher_is_an_average_of_weights_and_keeps_its_buffers(tau):
    student = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    teacher = teacher_of(student)
    with torch.no_grad():
        for each, value in ((teacher, 1.0), (student, 3.0)):
            for weight in each.parameters():
                weight.fill_(value)
        student[1].running_mean.fill_(7.0)
    follow(teacher, student, tau)
    assert all(torch.equal(weight, torch.full_like(weight, tau + 3 * (1 - tau))) for weight in teacher.parameters())
    assert all(torch.equal(weight, torch.full_like(weight, 3.0)) for weight in student.parameters())
    assert not teacher[0][1].running_mean.any()


def test_teacher_and_student_must_be_alike():
    with pytest.raises(ValueError, match="shorter"):
        follow(nn.Linear(2, 2), nn.Linear(2, 2, bias=False), 0.5)


def test_a_teacher_is_a_copy_that_wants_no_gradient():
    student = nn.Linear(2, 2)
    teacher = teacher_of(student, nn.ReLU())
    assert not any(weight.requires_grad for weight in teacher.parameters())
    assert all(weight.requires_grad for weight in student.parameters())
    with torch.no_grad():
        student.weight.zero_()
    assert teacher[0].weight.any()
