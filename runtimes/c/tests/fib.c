#include <stdint.h>
#include <stdio.h>

static uint64_t fib(int n) {
    static uint64_t known[100];
    if (n < 2)
        return n;
    if (!known[n])
        known[n] = fib(n - 1) + fib(n - 2);
    return known[n];
}

int main(void) {
    const int wanted[] = {10, 30, 90};
    for (int i = 0; i < 3; i++)
        printf("fib(%d) = %llu\n", wanted[i], (unsigned long long)fib(wanted[i]));
    return 0;
}
