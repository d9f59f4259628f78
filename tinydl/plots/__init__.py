"""Pictures: each is one function that returns the Axes it drew on; the computational graph is SVG.

`tinydl.plots.figures` says where they are drawn, and why nothing has to be closed.
"""

from tinydl.plots.activations import activation_histograms
from tinydl.plots.confusions import confusion, confusion_matrix
from tinydl.plots.expression import graph
from tinydl.plots.fields import receptive_fields
from tinydl.plots.figures import save
from tinydl.plots.history import curves, histories
from tinydl.plots.sensitivities import sensitivity
from tinydl.plots.sheets import images, mistakes, worst_mistakes
from tinydl.plots.svg import SVG
from tinydl.plots.times import profile
from tinydl.plots.tradeoff import pareto, pareto_front
from tinydl.plots.weights import feature_maps, filters

__all__ = [
    "SVG",
    "activation_histograms",
    "confusion",
    "confusion_matrix",
    "curves",
    "feature_maps",
    "filters",
    "graph",
    "histories",
    "images",
    "mistakes",
    "pareto",
    "pareto_front",
    "profile",
    "receptive_fields",
    "save",
    "sensitivity",
    "worst_mistakes",
]
