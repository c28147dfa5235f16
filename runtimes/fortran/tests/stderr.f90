program stderr
    use iso_fortran_env, only: error_unit
    implicit none
    print '(a)', 'to stdout'
    write(error_unit, '(a)') 'to stderr'
    stop 3, quiet=.true.
end program stderr
