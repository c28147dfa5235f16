program error
    implicit none
    print '(a)' 'never printed'
end program error
