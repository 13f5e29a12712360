"""AdamW over a model's flat parameters, and gradient clipping."""

import math

import numpy as np

from .engine.tensor import Tensor
from .model import GPT


class AdamW:
    """AdamW (Loshchilov and Hutter 2019) as torch.optim.AdamW has it: decay apart from the
    gradient, bias corrections.

    m and v, the running averages of the gradient and of its square, are laid out as the model's
    parameters.
    """

    def __init__(self, model: GPT, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1):
        self.model = model
        self.beta1, self.beta2, self.eps, self.weight_decay = beta1, beta2, eps, weight_decay
        self.m, self.v = model.zeros(), model.zeros()
        self.t = 0  # steps taken

    def reset(self) -> None:
        """Start anew: m = v = 0 and t = 0."""
        self.t = 0
        for moment in (*self.m, *self.v):
            self.model.device.write(moment, np.zeros(moment.shape, np.float32))

    def advance(self, lr: float) -> np.ndarray:
        """Count one more step and return what it needs: float32 (3,), lr and the two bias
        corrections.
        """
        self.t += 1
        return np.array([lr, 1 - self.beta1**self.t, math.sqrt(1 - self.beta2**self.t)], np.float32)

    def step(self, hyper: Tensor) -> None:
        """Move every parameter by its gradient; hyper is what `advance` returned for this step, on
        the device.
        """
        model = self.model
        settings = dict(
            beta1=self.beta1, beta2=self.beta2, eps=self.eps, weight_decay=self.weight_decay
        )
        for own in zip(model.flat_grad, model.flat, self.m, self.v, strict=True):
            model.device.run("adamw", hyper, *own, size=own[0].size, **settings)


def clip_grad_norm_(model: GPT, max_norm: float) -> Tensor:
    """Scale all gradients so that their norm together is at most max_norm; returns the norm
    before, shape (1,). RuntimeError when there is no gradient at all.
    """
    if not any(parameter.has_grad for parameter in model.parameters.values()):
        raise RuntimeError(
            "No parameter has a gradient: call loss.backward(), after model.zero_grad() and before "
            "clip_grad_norm_."
        )
    run, empty = model.device.run, model.device.empty
    for parameter in model.parameters.values():
        if not parameter.has_grad:  # the loss was not made from it
            run("fill", parameter.grad, size=parameter.size, value=0.0)
    partial, norm = empty(256), empty(1)
    for i, grad in enumerate(model.flat_grad):
        own = empty(256) if i else partial
        run("sum_squares", grad, own, size=grad.size)
        if i:
            run("copy", own, partial, size=256, factor=1.0, accumulate=1)
    for grad in model.flat_grad:
        run("clip", partial, grad, norm, size=grad.size, max_norm=max_norm)
    return norm
