"""What generated kernels say of statements that no line of the spec shows."""

WHY = {
    "": "",
    "empty": "a row that has seen nothing keeps the reference 0",
    "keep": "what is kept moves to the new reference",
    "far": "only where the ranges of what is compared meet in this tile",
    "unseen": "only where some row sees something of this tile",
    "whole": "every row sees all of this tile",
    "inner": "",
    "seen": "",
}
