#include "generator.h"

// Each power of two has 128 equal steps.
static int step_of(uint64_t value) {
  int bits = value ? 64 - __builtin_clzll(value) : 0;
  if (bits <= 8) return (int)value;
  return (bits - 8) * 128 + (int)(value >> (bits - 8));
}

void histogram_add(struct histogram *histogram, uint64_t nanoseconds) {
  histogram->steps[step_of(nanoseconds)]++;
  histogram->count++;
  if (nanoseconds > histogram->max) histogram->max = nanoseconds;
}

double histogram_ms(const struct histogram *histogram, double share) {
  uint64_t rank = (uint64_t)(share * (double)histogram->count + 0.999999), seen = 0;
  for (int step = 0; step < 64 * 128; step++) {
    seen += histogram->steps[step];
    if (seen == 0 || seen < rank) continue;
    uint64_t upper = step < 256 ? (uint64_t)step : ((uint64_t)(step - (step / 128 - 1) * 128) + 1) << (step / 128 - 1);
    return (double)(upper < histogram->max ? upper : histogram->max) / 1e6;
  }
  return (double)histogram->max / 1e6;
}
