// Empty: carries the headers that cmake/tern.cmake precompiles.
