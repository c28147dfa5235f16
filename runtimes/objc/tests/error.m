#import <Foundation/Foundation.h>

int main(void) {
    puts("never printed")
    return 0;
}
