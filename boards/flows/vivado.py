"""`vivado.tcl` and `celosia.xdc`: synthesis out of context with reports, and the IP for Vivado's block designer."""

from .design import CLOCK, LIBRARY, VENDOR, Design
from .ipxact import COMPONENT_FILE

SCRIPT_FILE = "vivado.tcl"


def clock_constraint(design: Design) -> str:
    """The clock's period, in ns with ps."""
    period = 1e9 / design.clock_hz
    return f"create_clock -name {CLOCK} -period {period:.3f} [get_ports {CLOCK}]\n"


def vivado_script(design: Design) -> str:
    """A script for Vivado's batch mode; everything that it writes is in a folder `vivado` beside it."""
    return SCRIPT.format(
        package_ip=PACKAGE_IP,
        script=SCRIPT_FILE,
        top=design.top,
        verilog=design.verilog,
        constraints=design.constraints,
        component=COMPONENT_FILE,
        vlnv=f"{VENDOR}:{LIBRARY}:{design.top}:{design.ip_version}",
    )


PACKAGE_IP = """\
# The accelerator as IP, in a repository of the project. Vivado completes the description (checksums, a dialog) in a
# copy, so that the generated files stay as they are. A clock that is named loses its frequency.
proc package_ip {from verilog component ip vlnv {clock ""}} {
    file copy -force [file join $from $verilog] [file join $from $component] $ip
    set core [ipx::open_core [file join $ip $component]]
    if {$clock ne ""} {
        ipx::remove_bus_parameter FREQ_HZ [ipx::get_bus_interfaces $clock -of_objects $core]
    }
    ipx::create_xgui_files $core
    ipx::update_checksums $core
    ipx::check_integrity $core
    ipx::save_core $core
    set_property ip_repo_paths [list $ip] [current_project]
    update_ip_catalog -rebuild
    if {[llength [get_ipdefs $vlnv]] == 0} {
        error "Vivado did not take the IP: see the messages above"
    }
}
"""
"""Tcl that every script begins with."""

# Tcl's own braces are doubled.
SCRIPT = """\
# Synthesis out of context with reports, and the accelerator as IP for the block designer:
#
#   vivado -mode batch -source {script} -tclargs PART
#
# PART is a device as Vivado calls it, such as xck26-sfvc784-2LV-c. What is written goes into the folder `vivado`
# beside this script: *.rpt and {top}.dcp of the synthesis, and ip, a repository with the IP.

{package_ip}
if {{[llength $argv] != 1}} {{
    error "one argument, the part: vivado -mode batch -source {script} -tclargs PART"
}}
set part [lindex $argv 0]
set here [file dirname [file normalize [info script]]]
set out [file join $here vivado]
set ip [file join $out ip]
file mkdir $ip

create_project -force {top} [file join $out project] -part $part
add_files -norecurse [file join $here {verilog}]
add_files -fileset constrs_1 -norecurse [file join $here {constraints}]
set_property top {top} [current_fileset]
update_compile_order -fileset sources_1

# Out of context: the ports are those of a block, not pins.
synth_design -top {top} -part $part -mode out_of_context
report_utilization -file [file join $out utilization.rpt]
report_utilization -hierarchical -file [file join $out utilization_hierarchical.rpt]
report_timing_summary -max_paths 10 -file [file join $out timing.rpt]
write_checkpoint -force [file join $out {top}.dcp]
close_design

package_ip $here {verilog} {component} $ip {vlnv}
close_project
puts "reports in $out, IP {vlnv} in $ip"
"""
