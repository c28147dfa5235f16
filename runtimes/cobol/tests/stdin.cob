identification division.
program-id. stdin-bytes.
environment division.
input-output section.
file-control.
    select input-file assign to keyboard organization is line sequential.
data division.
file section.
fd input-file.
01 input-line pic x(1000).
working-storage section.
01 at-end pic 9 value 0.
01 bytes pic 9(6) value 0.
01 shown pic z(5)9.
procedure division.
    open input input-file.
    perform until at-end = 1
        read input-file
            at end move 1 to at-end
            not at end
                compute bytes = bytes + 1
                    + function length(function trim(input-line trailing))
        end-read
    end-perform.
    move bytes to shown.
    display function trim(shown) " bytes".
    stop run.
