#include "base/bytes.h"

int main() { return tern::Bytes().size() == 0 ? 0 : 1; }
