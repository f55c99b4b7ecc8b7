"""
Time of day on a ring
=====================

An hour before midnight and an hour after it are two hours apart. A ring of 24 bins knows that. The data are the hourly
temperatures of Seattle that the package vega_datasets ships: at which hours is a month warm?
"""

import matplotlib.pyplot as plt
import numpy as np
from vega_datasets import local_data

import fastemd as fe

hours = local_data.seattle_temps()
table = hours.groupby([hours.date.dt.month, hours.date.dt.hour])["temp"].mean().to_numpy().reshape(12, 24)

# %%
# The warmth of an hour is what it is above the coldest of its month, as a share of the month's.
warmth = table - table.min(axis=1, keepdims=True)
warmth /= warmth.sum(axis=1, keepdims=True)
day = fe.Ring(24)
far = fe.pairwise(warmth, space=day)
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
i, j = np.unravel_index(far.argmax(), far.shape)
print(f"The most different months are {MONTHS[i]} and {MONTHS[j]}: {60 * far[i, j]:.0f} minutes.")

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
image = axes[0].imshow(60 * far, cmap="cividis")
axes[0].set_xticks(range(12), MONTHS, rotation=90)
axes[0].set_yticks(range(12), MONTHS)
figure.colorbar(image, ax=axes[0], label="minutes", shrink=0.8)
fe.plot.flow(warmth[i], warmth[j], day, labels=[f"{hour}" for hour in range(24)], ax=axes[1])

# %%
# The same for warm nights: a ring and a chain differ where midnight is in between.
late, early = np.eye(24)[23], np.eye(24)[1]
print("23 h to 1 h:", fe.emd(late, early, day), "hours on a ring,", fe.emd(late, early, fe.Chain(24)), "on a chain")

# %%
# The mean day of the year is a barycentre on the ring; its certificate says that none is better.
mean = fe.barycenter(warmth, day)
print(f"its mean distance from the months: {60 * mean.value:.1f} minutes, proved within {60 * mean.gap:.1e}")
