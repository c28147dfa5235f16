#include <cstdint>
#include <iostream>
#include <map>

std::map<int, std::uint64_t> known{{0, 0}, {1, 1}};

std::uint64_t fib(int n) {
    auto found = known.find(n);
    if (found != known.end())
        return found->second;
    return known[n] = fib(n - 1) + fib(n - 2);
}

int main() {
    for (int n : {10, 30, 90})
        std::cout << "fib(" << n << ") = " << fib(n) << '\n';
}
