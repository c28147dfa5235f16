#include <stdio.h>

int main(void) {
    puts("started");
    fflush(stdout);
    for (volatile int forever = 1; forever;)
        ;
    return 0;
}
