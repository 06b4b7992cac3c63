#include "postgres.h"
#include "utils/date.h"
static inline void MeasureOutcomes(int64 r, DateADT d) {}
