// Sine and cosine of floats side by side.
#pragma once
#include "functions.h"

#if defined(__FP_FAST_FMAF) || defined(__FMA__)
namespace attnc {

constexpr float FARTHEST = 1048576.0f;  // 2^20: up to here the quarters of a turn are counted in float

// x - k pi/2 with pi/2 in three parts (Cody and Waite), |rest| <= pi/4; then the polynomials of Cephes: two units in the
// last place of 1 at most. A turn is told by the low bits of what k was rounded with.
template <bool COSINE, int N> ATTNC_INLINE Lanes<float, N> near_turns(Lanes<float, N> x) {
  typedef Lanes<float, N> L;
  const L turn = fma_<L>(x, 0.636619772f, TURN), whole = turn - L(TURN);
  const L rest = fma_<L>(whole, 1.71512489e-15f, fma_<L>(whole, 4.37113900e-8f, fma_<L>(whole, -1.57079637f, x)));
  const L z = rest * rest;
  const L sine = fma_<L>(fma_<L>(fma_<L>(-1.9515295891e-4f, z, 8.3321608736e-3f), z, -1.6666654611e-1f), z * rest, rest);
  L cosine = fma_<L>(fma_<L>(2.443315711809948e-5f, z, -1.388731625493765e-3f), z, 4.166664568298827e-2f);
  cosine = fma_<L>(cosine, z * z, fma_<L>(-0.5f, z, 1.0f));
  const auto quarter = bits_of(turn) + Lanes<int32_t, N>(COSINE ? 1 : 0);
  const L y = select_<L>((quarter << 31) == Lanes<int32_t, N>(0), sine, cosine);
  return select_<L>((quarter << 30) < Lanes<int32_t, N>(0), -y, y);
}
template <int N> ATTNC_INLINE Lanes<float, N> sin_(Lanes<float, N> x) {
  if (!all_across(abs_(x) <= Lanes<float, N>(FARTHEST))) return each(x, [](float y) { return sin_(y); });
  return near_turns<false>(x);
}
template <int N> ATTNC_INLINE Lanes<float, N> cos_(Lanes<float, N> x) {
  if (!all_across(abs_(x) <= Lanes<float, N>(FARTHEST))) return each(x, [](float y) { return cos_(y); });
  return near_turns<true>(x);
}

}  // namespace attnc
#endif
