/* Swaps two names in one step: `exchange A B`. Fails if either is missing. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>

int main(int count, char **arguments) {
    if (count != 3)
        return 2;
    return renameat2(AT_FDCWD, arguments[1], AT_FDCWD, arguments[2], RENAME_EXCHANGE) ? 1 : 0;
}
