# 1.20 come in: 1.00 and 0.20 tax by an advance invoice. Consumption is net. The document shows
# 0.07 tax and deducts it as paid with the advance. The rest goes back with its tax.
files: advance.toml flat.toml alice.toml
top-up alice 1.20 tax 0.20           | 1.000000 0 0
deploy alice vm1 at 0                | 0.640000 0.360000 0
runs alice vm1 at 0                  | 0.640000 0.360000 0
renew alice at 5                     | 0.610000 0.360000 0.030000
renew alice every 5 from 10 to 55
destroy alice vm1 at 60              | 0.640000 0 0.360000
document alice at 70 net 0.360000 allowance 0 tax 0.070000 total 0.430000
invoice alice at 70                  | 0.640000 0 0
books house revenue.compute 0.360000
books house tax.XX.20 0.200000
refund alice 0.64 tax 0.13 at 80     | 0 0 0
books house clearing.card -0.430000
books house tax.XX.20 0.070000
