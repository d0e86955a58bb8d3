// What generated kernels share.
#pragma once
#include "circular.h"
#include "functions.h"
#include "halves.h"
#include "narrow.h"
#include "reach.h"
#include "few.h"
#include "rows.h"
#include "shared.h"

namespace attnc {

// An array that is too large for the stack.
template <class T> struct Owned {
  T* place;
  explicit Owned(int64_t count) : place(room<T>(count)) {}
  ~Owned() { __builtin_free(place); }
};

}  // namespace attnc
