// 16-bit reals: kept in memory, computed in 32 bits.
#pragma once
#include "functions.h"

namespace attnc {

struct bfloat16 { uint16_t bits; };
struct float16 { _Float16 value; };

inline float real(float x) { return x; }
inline double real(double x) { return x; }
inline float real(float16 x) { return (float)x.value; }
inline float real(bfloat16 x) {
  return bits_<float>((uint32_t)x.bits << 16);
}
template <class T> inline T stored(double x) { return (T)x; }
template <class T> inline T stored(float x) { return (T)x; }
template <> inline float16 stored<float16>(float x) { return {(_Float16)x}; }
template <> inline float16 stored<float16>(double x) { return {(_Float16)x}; }
template <> inline bfloat16 stored<bfloat16>(float x) {  // round to nearest, ties to even; NaN stays NaN
  const uint32_t bits = bits_<uint32_t>(x);
  if ((bits & 0x7fffffff) > 0x7f800000) return {(uint16_t)((bits >> 16) | 0x40)};
  return {(uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}
template <> inline bfloat16 stored<bfloat16>(double x) { return stored<bfloat16>((float)x); }

}  // namespace attnc
