"""One file per stage: read from the store → a pure room → write to the store. The only room where the others meet."""
