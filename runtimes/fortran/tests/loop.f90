program loop
    use iso_fortran_env, only: output_unit
    implicit none
    integer, volatile :: turns

    print '(a)', 'started'
    flush(output_unit)
    do
        turns = 1
    end do
end program loop
