#include <stdio.h>

int main(void) {
    FILE *file = fopen("data.txt", "r");
    if (!file) {
        perror("data.txt");
        return 1;
    }
    for (int character; (character = getc(file)) != EOF;)
        putchar(character);
    fclose(file);
    return 0;
}
