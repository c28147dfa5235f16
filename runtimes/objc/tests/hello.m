#import <Foundation/Foundation.h>

int main(void) {
    @autoreleasepool {
        NSString *name = @"world";
        printf("%s\n", [[NSString stringWithFormat:@"Hello, %@!", name] UTF8String]);
    }
    return 0;
}
