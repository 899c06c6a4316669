"""Self-supervised methods broken in one way each, and an honest one: a small student against a slow teacher."""

import math
from dataclasses import dataclass

import torch
from torch import nn

from feint.core.pretraining import Learner, Method
from feint.core.streams import seed_of, stream
from feint.networks.architectures import build
from feint.pretraining.momentum import follow, teacher_of
from feint.pretraining.simclr import nt_xent
from feint.testing import pretraining as checks


class Contrast(Learner):
    """Honest: a student's projections against those of its teacher, whose temperature is drawn anew each step."""

    def __init__(self, encoder, seed):
        super().__init__()
        self.encoder = encoder
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed_of(seed, "heads"))
            self.projector = nn.Linear(encoder.width, 16)
        self.teacher = teacher_of(self.encoder, self.projector)

    def loss(self, views, *, generator, progress):
        temperature = 0.2 + 0.1 * float(torch.rand((), generator=generator))
        return nt_xent(self.projected(views[0]), self.teacher(views[1]), temperature)

    def projected(self, images):
        return self.projector(self.encoder(images))

    def project(self, images):
        return self.projected(images)

    def after_step(self, progress):
        follow(self.teacher, nn.Sequential(self.encoder, self.projector), 0.9)

    def floor(self, batch):
        return math.log(2 * batch - 1)


@dataclass(frozen=True, kw_only=True)
class Toy(Method):
    name = "toy"
    kind: type[Contrast] = Contrast

    def _learner(self, encoder, seed):
        return self.kind(encoder, seed)


class Floorless(Contrast):
    """Honest: does not say its floor; a collapse raises its loss."""

    def floor(self, batch):
        return None


class Agreeing(Floorless):
    """Honest: its loss is least when it has collapsed, and its projections show it."""

    def loss(self, views, *, generator, progress):
        za, zb = self.projected(views[0]), self.teacher(views[1])
        return 1 - torch.cosine_similarity(za, zb.detach(), dim=1).mean()


class Column(Contrast):
    """Returns a loss of shape (1,)."""

    def loss(self, views, *, generator, progress):
        return super().loss(views, generator=generator, progress=progress)[None]


class Infinite(Contrast):
    """Divides by the contrast of the images, which black ones do not have."""

    def loss(self, views, *, generator, progress):
        return super().loss(views, generator=generator, progress=progress) / (views[0].std() > 0)


class Restless(Contrast):
    """Draws its heads from a stream that goes on from learner to learner."""

    generator = stream(0, "restless")

    def __init__(self, encoder, seed):
        super().__init__(encoder, seed)
        nn.init.normal_(self.projector.weight, generator=self.generator)
        self.teacher = teacher_of(self.encoder, self.projector)


class Headstrong(Contrast):
    """Draws in its loss from a stream of its own, not from the generator it is given."""

    generator = stream(0, "headstrong")

    def loss(self, views, *, generator, progress):
        return super().loss(views, generator=self.generator, progress=progress)


class GlobalSeed(Contrast):
    """Seeds the global generator: reproducible, at everyone else's cost."""

    def __init__(self, encoder, seed):
        super().__init__(encoder, seed)
        torch.manual_seed(seed)


class NoisyLoss(Contrast):
    """Uses up global chance in its loss."""

    def loss(self, views, *, generator, progress):
        torch.rand(1)
        return super().loss(views, generator=generator, progress=progress)


class NoisyProjection(Contrast):
    """Uses up global chance when it projects."""

    def project(self, images):
        torch.rand(1)
        return super().project(images)


class Overwriting(Contrast):
    """Clips the views it is given, in place."""

    def loss(self, views, *, generator, progress):
        views[1].clamp_(0.3, 0.7)
        return super().loss(views, generator=generator, progress=progress)


class OverwritingProjection(Contrast):
    """Clips the images that it projects, in place."""

    def project(self, images):
        return super().project(images.clamp_(0.3, 0.7))


class Idle(Contrast):
    """Has a layer that is never used."""

    def __init__(self, encoder, seed):
        super().__init__(encoder, seed)
        self.idle = nn.Parameter(torch.ones(2))


class HeadAlone(Contrast):
    """Cuts the gradient before it reaches the encoder."""

    def projected(self, images):
        return self.projector(self.encoder(images).detach())


class HeadsAlone(Contrast):
    """Trains its heads, and says that there is nothing else to train."""

    def trained(self):
        return self.projector.parameters()


class TrainedTeacher(Contrast):
    """Forgets to stop the gradient, so that the teacher is trained and follows."""

    def __init__(self, encoder, seed):
        super().__init__(encoder, seed)
        self.teacher.requires_grad_(requires_grad=True)


class LeakingTeacher(TrainedTeacher):
    """Does not train its teacher, and lets the gradient reach it."""

    def trained(self):
        return (each for part in (self.encoder, self.projector) for each in part.parameters())


class Ascending(Contrast):
    """Has its gradient the wrong way round."""

    def loss(self, views, *, generator, progress):
        loss = super().loss(views, generator=generator, progress=progress)
        return 2 * loss.detach() - loss


class Hidden(Contrast):
    """Keeps a part of what the seed decides outside of the state_dict."""

    def __init__(self, encoder, seed):
        super().__init__(encoder, seed)
        self.scale = 1 + 0.1 * seed

    def loss(self, views, *, generator, progress):
        return self.scale * super().loss(views, generator=generator, progress=progress)

    def floor(self, batch):
        return self.scale * super().floor(batch)


class HiddenProjection(Contrast):
    """Counts its steps outside of the state_dict, and projects by the count."""

    steps = 0

    def after_step(self, progress):
        super().after_step(progress)
        self.steps += 1

    def project(self, images):
        return super().project(images) * (1 + self.steps)


class Deaf(Contrast):
    """Trains an encoder of its own in place of the one it is given, and is the same for every seed."""

    def __init__(self, encoder, seed):
        super().__init__(build("resnet8", channels=1, size=(checks.SIDE, checks.SIDE), seed=0), 0)


class Unwilling(Contrast):
    """Does not load what was saved."""

    def load_state_dict(self, state_dict, strict=True, assign=False):
        return None


class Unpooled(Contrast):
    """Projects to maps."""

    def project(self, images):
        return super().project(images)[:, :, None]


class Same(Contrast):
    """Projects all images to their mean."""

    def project(self, images):
        projections = super().project(images)
        return projections.mean(0).expand_as(projections)


class Overflowing(Contrast):
    """Projects with a logarithm of zero."""

    def project(self, images):
        return super().project(images).relu().log()


class WrongFloor(Contrast):
    """Knows the floor of one view of each image."""

    def floor(self, batch):
        return math.log(batch - 1)


class Silent(Agreeing):
    """Its loss is least when it has collapsed, and it hands out pixels as its projections."""

    def project(self, images):
        return images.flatten(1)


def make(twin):
    """Return the method of a twin."""
    return Toy(kind=twin)


HONEST = [Contrast, Floorless, Agreeing]
TWINS = {
    checks.loss_is_one_finite_number: [Column, Infinite],
    checks.same_seed_gives_the_same_loss: [Restless, Headstrong],
    checks.global_generators_stay_untouched: [GlobalSeed, NoisyLoss, NoisyProjection],
    checks.inputs_stay_untouched: [Overwriting, OverwritingProjection],
    checks.gradient_reaches_all_that_is_trained: [Idle, HeadAlone, HeadsAlone],
    checks.no_gradient_reaches_the_teacher: [TrainedTeacher, LeakingTeacher],
    checks.a_few_steps_lower_the_loss: [Ascending],
    checks.state_dict_is_the_whole_state: [Hidden, HiddenProjection, Deaf, Unwilling],
    checks.projections_tell_images_apart: [Unpooled, Same, Overflowing],
    checks.collapse_is_penalised_or_alarmed: [WrongFloor, Silent],
}
ALSO = {
    Headstrong: {checks.state_dict_is_the_whole_state},
    Deaf: {checks.collapse_is_penalised_or_alarmed},
}
