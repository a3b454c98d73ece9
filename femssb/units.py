"""SI everywhere: physical constants, and multipliers so that ``30 * um`` reads as written."""

FARADAY = 96485.33212  # [C/mol] CODATA 2018
GAS_CONSTANT = 8.314462618  # [J/(mol K)] CODATA 2018

m = 1.0
mm = 1e-3
um = 1e-6
nm = 1e-9

second = 1.0
minute = 60.0
hour = 3600.0

Pa = 1.0
kPa = 1e3
MPa = 1e6
GPa = 1e9

V = 1.0
mV = 1e-3
A = 1.0
mA = 1e-3
nA = 1e-9
pA = 1e-12

mol = 1.0
pmol = 1e-12

cm2 = 1e-4  # [m2]
