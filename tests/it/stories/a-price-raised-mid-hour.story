# 0.36 net/h, from half past 0.72. The hold is at the highest price within H; the cover goes
# through the known change: after 5 min 25 min at 0.36 and 35 min at 0.72 are ahead = 0.57 net.
files: common.toml flat.toml raised.toml alice.toml
top-up alice 2.00           | 2.000000 0 0
deploy alice vm1 at 0       | 1.136000 0.864000 0
runs alice vm1 at 0         | 1.136000 0.864000 0
renew alice at 5            | 1.280000 0.684000 0.036000
renew alice every 5 from 10 to 25
renew alice at 30           | 0.920000 0.864000 0.216000
renew alice every 5 from 35 to 55
destroy alice vm1 at 60     | 1.352000 0 0.648000
invoice alice at 70         | 1.350000 0 0
books house revenue.compute 0.540000
books house tax.XX.20 0.110000
