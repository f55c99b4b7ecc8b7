"""The residual net of 18 layers (He et al., CVPR 2016), in plain torch."""

from __future__ import annotations

from torch import Tensor, nn


def _convolution(inputs: int, outputs: int, side: int, stride: int) -> nn.Sequential:
    one = nn.Conv2d(inputs, outputs, side, stride, padding=side // 2, bias=False)
    nn.init.kaiming_normal_(one.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(one, nn.BatchNorm2d(outputs))


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.way = nn.Sequential(
            _convolution(inputs, outputs, 3, stride), nn.ReLU(inplace=True), _convolution(outputs, outputs, 3, 1)
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else _convolution(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return (self.way(x) + self.shortcut(x)).relu()


def resnet18(classes: int, width: int = 64) -> nn.Sequential:
    """Return the net, logits out of pictures; a smaller `width` makes a thinner one."""
    layers: list[nn.Module] = [_convolution(3, width, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, padding=1)]
    inputs = width
    for k in range(4):
        outputs = width * 2**k
        layers += [Block(inputs, outputs, 1 if k == 0 else 2), Block(outputs, outputs, 1)]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))
