# accounting.md, worked example: net 0.36/h per VM, tax 20 % at use, H = 1 h, P = 5 min.
files: common.toml flat.toml alice.toml
top-up alice 1.00                     | 1.000000 0 0
deploy alice vm1 at 0                 | 0.568000 0.432000 0
deploy alice vm2 at 0                 | 0.136000 0.864000 0
refused alice vm3 at 0 short 0.296000 | 0.136000 0.864000 0
runs alice vm1 at 0                   | 0.136000 0.864000 0
runs alice vm2 at 0                   | 0.136000 0.864000 0
renew alice at 5                      | 0.064000 0.864000 0.072000
renew alice at 10                     | 0 0.856000 0.144000
lasts alice 3566.666666               | 0 0.856000 0.144000
closed alice
renew alice at 15                     | 0 0.784000 0.216000
destroy alice vm1,vm2 at 20           | 0.712000 0 0.288000
invoice alice at 30                   | 0.710000 0 0
books house revenue.compute 0.240000
books house tax.XX.20 0.050000
books house rounding 0
invoice-again alice at 31             | 0.710000 0 0
credit alice vm 0.5 at 40             | 0.850000 0 0
books house revenue.compute 0.120000
books house tax.XX.20 0.030000
