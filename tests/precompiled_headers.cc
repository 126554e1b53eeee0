// Empty: carries the headers that cmake/tern.cmake precompiles for the tests.
