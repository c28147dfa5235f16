<?php
echo "never printed\n";
if {
