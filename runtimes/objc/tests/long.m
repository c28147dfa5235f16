#import <Foundation/Foundation.h>

int main(void) {
    for (int i = 0; i < 100000; i++)
        puts("123456789");
    return 0;
}
