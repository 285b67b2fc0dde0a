
validate_bd_design
save_bd_design
set design [get_files system.bd]
generate_target all $design
add_files -norecurse [make_wrapper -files $design -top]
set_property top system_wrapper [current_fileset]
update_compile_order -fileset sources_1
if {[llength $argv] == 1} {
    close_project
    puts "the project with its block design is in [file join $out project]"
    return
}

launch_runs impl_1 -to_step write_bitstream -jobs 4
wait_on_run impl_1
set run [get_runs impl_1]
if {[get_property PROGRESS $run] ne "100%"} {
    error "implementation ended with [get_property STATUS $run]: see its log in [get_property DIRECTORY $run]"
}
open_run impl_1
report_utilization -hierarchical -file [file join $out utilization.rpt]
report_timing_summary -max_paths 10 -file [file join $out timing.rpt]
set slack [get_property SLACK [get_timing_paths -delay_type max]]
if {$slack < 0} {
    error "the design misses its clock of $clock_mhz MHz by [expr {-$slack}] ns: lower control.clock_mhz (timing.rpt says where)"
}
file copy -force [file join [get_property DIRECTORY $run] system_wrapper.bit] [file join $out celosia.bit]
if {$hardware_description} {
    write_hw_platform -fixed -include_bit -force -file [file join $out celosia.xsa]
}
close_project
puts "bitstream and reports in $out; slack $slack ns"
