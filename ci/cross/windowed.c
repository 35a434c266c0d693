/* A program without a console that writes down which standard streams it has. */
#include <stdio.h>
#include <windows.h>

int WINAPI WinMain(HINSTANCE instance, HINSTANCE before, LPSTR arguments, int show) {
    FILE *file = fopen("streams", "w");
    (void)instance, (void)before, (void)arguments, (void)show;
    if (!file) return 1;
    fprintf(file, "%d %d %d\n", !!GetStdHandle(STD_INPUT_HANDLE), !!GetStdHandle(STD_OUTPUT_HANDLE),
            !!GetStdHandle(STD_ERROR_HANDLE));
    fclose(file);
    return 100;
}
