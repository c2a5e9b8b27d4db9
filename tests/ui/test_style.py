"""What all figures share, worked by hand."""

from workbench.ui.style import moved_apart


def test_labels_are_moved_apart_by_hand():
    assert moved_apart([5.0, 0.0, 0.0], 2.0).tolist() == [5.0, -1.0, 1.0]
    assert moved_apart([3.0], 2.0).tolist() == [3.0]
