"""What the lessons draw, one file a lesson: pictures that would take more lines than a cell should have."""
