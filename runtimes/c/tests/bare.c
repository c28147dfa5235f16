int main(void) {
    char word[] = "included";
    for (size_t i = 0; i < strlen(word); i++)
        putchar(toupper(word[i]));
    printf(" nothing %d\n", INT_MAX);
    return EXIT_SUCCESS;
}
