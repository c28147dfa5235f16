#import <Foundation/Foundation.h>

int main(void) {
    puts("started");
    fflush(stdout);
    for (volatile BOOL forever = YES; forever;)
        ;
    return 0;
}
