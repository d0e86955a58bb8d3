// Tiles of a factor that lie the wrong way round for tile registers: a thread keeps them turned, for all jobs that read them.
#pragma once
#include "halves.h"

namespace attnc {

// Room for a tile, and whether it is there already.
struct Block { uint16_t* place = nullptr; bool full = false; };

// The tiles of one tensor, which nothing writes: found again by where a tile begins and how large it is.
class Turned {
  struct Tile { const void* of; int64_t rows, depth, room; uint16_t* place; };
  static constexpr int64_t MOST = 4096, LINE = 64;
  const bool again;  // whether several jobs read a tile
  Tile* tiles = nullptr;
  int64_t known = 0;

  void grow(int64_t slot) {
    const int64_t more = max_<int64_t>(2 * known, slot + 64);
    Tile* all = room<Tile>(more);
    __builtin_memset(all, 0, more * sizeof(Tile));
    if (known) __builtin_memcpy(all, tiles, known * sizeof(Tile));
    __builtin_free(tiles);
    tiles = all, known = more;
  }

 public:
  explicit Turned(bool again) : again(again) {}
  Turned(const Turned&) = delete;
  ~Turned() {
    for (int64_t i = 0; i < known; ++i) __builtin_free(tiles[i].place);
    __builtin_free(tiles);
  }
  // One tile at a time has a slot: that of the same positions in another head takes it over.
  Block block(int64_t slot, const void* of, int64_t rows, int64_t depth) {
    if (!again || slot < 0 || slot >= MOST) return {};
    if (slot >= known) grow(slot);
    Tile& tile = tiles[slot];
    const int64_t room = (rows + 15) / 16 * 16 * ((depth + 31) / 32 * 32) + LINE;
    if (tile.room < room) {
      __builtin_free(tile.place);
      tile = {nullptr, 0, 0, room, attnc::room<uint16_t>(room)};
    }
    const bool full = tile.of == of && tile.rows == rows && tile.depth == depth;
    tile.of = of, tile.rows = rows, tile.depth = depth;
    return {(uint16_t*)(((uint64_t)tile.place + LINE - 1) / LINE * LINE), full};
  }
};

// Where a product may keep what it turns.
struct Spot {
  Turned* in = nullptr;
  int64_t slot = 0;
  Block block(const void* of, int64_t rows, int64_t depth) const { return in ? in->block(slot, of, rows, depth) : Block{}; }
};

}  // namespace attnc
