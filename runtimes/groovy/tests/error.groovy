println 'never printed'
if (
