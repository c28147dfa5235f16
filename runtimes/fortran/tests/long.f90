program long
    implicit none
    integer :: i

    do i = 1, 100000
        print '(a)', '123456789'
    end do
end program long
