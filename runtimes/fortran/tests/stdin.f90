program stdin
    use iso_fortran_env, only: input_unit
    implicit none
    character(len=1) :: character
    integer :: bytes, status

    bytes = 0
    do
        read(input_unit, '(a1)', advance='no', iostat=status) character
        if (status /= 0) exit
        bytes = bytes + 1
    end do
    print '(i0, a)', bytes, ' bytes'
end program stdin
