// The tile registers of AMX in plain C++, bit for bit as the manual describes them: for tests on machines that have none.
// Slower than any other way to multiply.
#pragma once
#include "rows.h"

namespace attnc {

constexpr bool granted = true;

struct TileRegisters { bool ready; Full<uint32_t> tile[8][16]; };
inline thread_local TileRegisters registers;

struct Tiles {
  Tiles() { registers.ready = true; }
  ~Tiles() { registers.ready = false; }
};

// Registers that are not set up are an illegal instruction.
template <int T> inline Full<uint32_t>* tile() {
  if (!registers.ready) __builtin_trap();
  return registers.tile[T];
}

template <int T> inline void tile_zero() {
  for (int r = 0; r < 16; ++r) tile<T>()[r] = Full<uint32_t>{};
}
template <int T> inline void tile_load(const void* from, int64_t row) {
  for (int r = 0; r < 16; ++r) __builtin_memcpy(&tile<T>()[r], (const char*)from + r * row, 64);
}
template <int T> inline void tile_store(void* to, int64_t row) {
  for (int r = 0; r < 16; ++r) __builtin_memcpy((char*)to + r * row, &tile<T>()[r], 64);
}

ATTNC_INLINE void awake() {}  // nothing sleeps here

// Numbers below the least normal one are 0, those that are read and those that are made.
inline Full<float> flushed(Full<uint32_t> bits) {
  const Full<uint32_t> sign = bits & 0x80000000;
  return (Full<float>)((bits & 0x7f800000) == 0 ? sign : bits);
}
inline Full<float> flushed(Full<float> x) { return flushed((Full<uint32_t>)x); }

// The sums of the even and of the odd products start at 0, are joined, and are then added to what is there.
template <int C, int A, int B> inline void tile_multiply() {
  for (int r = 0; r < 16; ++r) {
    Full<float> even{}, odd{};
    for (int k = 0; k < 16; ++k) {
      const Full<uint32_t> a = Full<uint32_t>{} + tile<A>()[r][k], b = tile<B>()[k];
      even = flushed(fused_part(flushed(a << 16), flushed(b << 16), even));
      odd = flushed(fused_part(flushed(a & 0xffff0000), flushed(b & 0xffff0000), odd));
    }
    tile<C>()[r] = (Full<uint32_t>)flushed(flushed(tile<C>()[r]) + flushed(even + odd));
  }
}

}  // namespace attnc
