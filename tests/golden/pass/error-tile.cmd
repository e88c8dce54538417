opt error-tile.ir
