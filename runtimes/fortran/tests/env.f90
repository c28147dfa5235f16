program env
    implicit none
    character(len=:), allocatable :: greeting
    integer :: length

    call get_environment_variable('GREETING', length=length)
    allocate(character(len=length) :: greeting)
    call get_environment_variable('GREETING', greeting)
    print '(a)', greeting
end program env
