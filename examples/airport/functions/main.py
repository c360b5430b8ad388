"""The airport example's own code: which airport is next, and a ride there from a partner service."""

from mbaas_functions import cloud


@cloud.define("nearest", params={"latitude": {"type": "Number", "required": True}, "longitude": {"type": "Number", "required": True}})
async def nearest(request):
    """The next airport with scheduled flights, as far as an IATA code tells."""
    here = cloud.GeoPoint(request.params["latitude"], request.params["longitude"])
    return await cloud.Query("Airport").near("location", here).not_equal_to("iata", "").first()


@cloud.define("ride", params={"latitude": {"type": "Number", "required": True}, "longitude": {"type": "Number", "required": True}})
async def ride(request):
    """The next airport, and what the taxi service asks for a ride there."""
    airport = await nearest(request)
    if airport is None:
        raise cloud.Error("there are no airports yet; run seed.py", code=101)
    place = airport["location"]
    to = {"latitude": place.latitude, "longitude": place.longitude}
    offer = await cloud.run("taxi.offer", {"from": dict(request.params), "to": to})
    return {"airport": airport["iata"], **offer}


@cloud.define("boarded", params={"flight": {"type": "String", "required": True}}, require_user=True)
async def boarded(request):
    """She boards again: what she was about to be sent for landing is taken back."""
    event = f"{request.params['flight']} {request.user.id}"
    return await cloud.moment("boarded", event, user=request.user.id, use_master_key=True)


@cloud.before_save("Ride")
async def check(request):
    """A ride is booked by somebody, who alone sees it, and the taxi service, which is told of it."""
    if request.user is None:
        raise cloud.Error("sign in to book a ride", code=142)
    if request.object.is_new:
        request.object["status"] = "booked"
        request.object.acl = {request.user.id: {"read": True, "write": True}, "partner:taxi": {"read": True}}


@cloud.job("forgetRides")
@cloud.schedule("0 4 * * *", tz="Europe/Berlin")
async def forget_rides(request):
    """Rides that are over are forgotten every night."""
    over = await cloud.Query("Ride").equal_to("status", "over").limit(1000).find(use_master_key=True)
    for one in over:
        await one.destroy(use_master_key=True)
    return f"{len(over)} rides forgotten"
