program utf8
    implicit none
    print '(a)', 'Grüße, 世界 🌍'
end program utf8
