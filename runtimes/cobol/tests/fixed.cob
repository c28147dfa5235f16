000100* The columns of punched cards: numbers, comments, then the code.
000200 IDENTIFICATION DIVISION.
000300 PROGRAM-ID. FIXED.
000400 PROCEDURE DIVISION.
000500     DISPLAY "fixed format".
000600     STOP RUN.
