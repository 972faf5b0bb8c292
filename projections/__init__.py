"""What is true, now or at any past moment: the log, folded into SQLite."""

from projections.catalogue import Catalogue
from projections.search import ModelFilter

__all__ = ["Catalogue", "ModelFilter"]
