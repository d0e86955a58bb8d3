// out[r][m] = sum over k of a[r][k] * b[k][m] on tile registers: a lies row by row, b in pairs of rows.
// Sums that are added to something, and those of fewer rows than a register has, pass through memory: registers that begin
// with what is there would wait for it.
#pragma once
#include "matmul.h"
#if defined(ATTNC_AMX_EMULATED)
#include "amx_emulated.h"
#else
#include "amx_tiles.h"
#endif

namespace attnc {

constexpr int64_t WIDE = 64;
constexpr const float* EACH = ones<WIDE, float>.values;  // what every column keeps

// What is added to rows of `out` whose sums passed through memory.
template <int ROW> ATTNC_INLINE void added(int64_t rows, int64_t columns, float* out, int64_t out_row, const float (*sum)[ROW], const float* keep) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t m = 0; m < columns; m += 16) {
      const Full<float> own = *(const Full<float>*)(sum[r] + m);
      Full<float>* place = (Full<float>*)(out + r * out_row + m);
      *place = keep ? fused_part(*(const Full<float>*)(keep + m), *place, own) : own;
    }
}

// The sums of a square stay: R x 16 rows times C x 16 columns.
template <int R, int C> ATTNC_INLINE void square(int64_t depth, const uint16_t* a, int64_t a_row, const uint32_t* b, int64_t b_row, float* to, int64_t to_row) {
  tile_zero<0>();
  if (C > 1) tile_zero<1>();
  if (R > 1) tile_zero<2>();
  if (R * C > 2) tile_zero<3>();
  for (int64_t k = 0; k < depth; k += 32, b += 16 * b_row) {
    tile_load<6>(b, 4 * b_row), tile_load<4>(a + k, 2 * a_row), tile_multiply<0, 4, 6>();
    if (R > 1) tile_load<5>(a + k + 16 * a_row, 2 * a_row), tile_multiply<2, 5, 6>();
    if (C > 1) tile_load<7>(b + 16, 4 * b_row), tile_multiply<1, 4, 7>();
    if (R * C > 2) tile_multiply<3, 5, 7>();
  }
  tile_store<0>(to, 4 * to_row);
  if (C > 1) tile_store<1>(to + 16, 4 * to_row);
  if (R > 1) tile_store<2>(to + 16 * to_row, 4 * to_row);
  if (R * C > 2) tile_store<3>(to + 16 * to_row + 16, 4 * to_row);
}

inline void squares(int64_t rows, int64_t columns, int64_t depth, float* out, int64_t out_row, const uint16_t* a, int64_t a_row, const uint32_t* b, int64_t b_row, const float* keep) {
  constexpr int64_t HIGH = 32;
  alignas(64) float sum[HIGH][WIDE];
  for (int64_t r = 0; r < rows; r += HIGH, a += HIGH * a_row) {
    const int64_t high = min_(HIGH, rows - r);
    const bool direct = !keep && high % 16 == 0;
    float* to = direct ? out + r * out_row : sum[0];
    const int64_t to_row = direct ? out_row : WIDE;
    for (int64_t m = 0; m < columns; m += 32) {
      const bool pair = m + 16 < columns, tall = high > 16;
      (tall ? pair ? square<2, 2> : square<2, 1> : pair ? square<1, 2> : square<1, 1>)(depth, a, a_row, b + m, b_row, to + m, to_row);
    }
    if (!direct) added(high, columns, out + r * out_row, out_row, sum, keep);
  }
}

// Of 64 values of k those of 32 columns stay, in registers 4 to 7, while all rows pass: 16 of them are multiplied while
// those before are added to what is there.
inline void panel(int64_t rows, float* out, int64_t out_row, const uint16_t* a, int64_t a_row, const uint32_t* b, int64_t b_row, const float* keep) {
  constexpr int64_t HIGH = 16;
  alignas(64) float sum[2 * HIGH][32];
  const bool direct = !keep && rows % HIGH == 0;
  const int64_t to_row = direct ? out_row : 32, last = (rows - 1) / HIGH * HIGH;
  tile_load<4>(b, 4 * b_row), tile_load<5>(b + 16 * b_row, 4 * b_row);
  tile_load<6>(b + 16, 4 * b_row), tile_load<7>(b + 16 * b_row + 16, 4 * b_row);
  for (int64_t r = 0; r < rows; r += HIGH) {
    const uint16_t* from = a + r * a_row;
    float* to = direct ? out + r * out_row : sum[r % (2 * HIGH)];
    tile_zero<0>(), tile_zero<1>();
    tile_load<2>(from, 2 * a_row), tile_multiply<0, 2, 4>(), tile_multiply<1, 2, 6>();
    tile_load<3>(from + 32, 2 * a_row), tile_multiply<0, 3, 5>(), tile_multiply<1, 3, 7>();
    tile_store<0>(to, 4 * to_row), tile_store<1>(to + 16, 4 * to_row);
    if (!direct && r > 0) added(HIGH, 32, out + (r - HIGH) * out_row, out_row, sum + (r - HIGH) % (2 * HIGH), keep);
  }
  if (!direct) added(rows - last, 32, out + last * out_row, out_row, sum + last % (2 * HIGH), keep);
}

inline __attribute__((noinline)) void sums(int64_t rows, int64_t columns, int64_t depth, float* out, int64_t out_row, const uint16_t* a, int64_t a_row, const uint32_t* b, const float* keep) {
  for (int64_t m = 0, wide; m < columns; m += wide) {
    const float* own = keep && keep != EACH ? keep + m : keep;
    const bool stays = depth > 32 && depth <= 64 && m + 32 <= columns;
    wide = stays ? 32 : min_(WIDE, columns - m);
    if (stays) panel(rows, out + m, out_row, a, a_row, b + m, columns, own);
    else squares(rows, wide, depth, out + m, out_row, a, a_row, b + m, columns, own);
  }
}

}  // namespace attnc
