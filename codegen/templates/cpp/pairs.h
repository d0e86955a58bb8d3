// Loops over rows that are taken two by two.
#pragma once
#include "lanes.h"

namespace attnc {

// Which of a pair a row is.
template <bool ODD> struct Half {};
template <bool ODD, class L> ATTNC_INLINE L& one_of(Half<ODD>, L& even, L& odd) { return ODD ? odd : even; }

// The rows in order; before each stretch of them `between`.
template <class B, class F> ATTNC_INLINE void in_pairs(int rows, B between, F row) {
  constexpr int STRETCH = 32;
  for (int first = 0; first < rows; first += STRETCH) {
    between();
    const int end = first + STRETCH < rows ? first + STRETCH : rows;
    for (int k = first; k < end; k += 2) {
      row(k, Half<false>{});
      if (k + 1 < end) row(k + 1, Half<true>{});
    }
  }
}

}  // namespace attnc
