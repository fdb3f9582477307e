FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
WORKDIR /src
COPY . .
RUN dotnet publish src/Environmentd -c Release -o /app && dotnet publish src/Clusterd -c Release -o /app

FROM mcr.microsoft.com/dotnet/aspnet:10.0
RUN apt-get update && apt-get install -y --no-install-recommends libsqlite3-0 && rm -rf /var/lib/apt/lists/*
COPY --from=build /app /app
EXPOSE 6875 6876 6877 6878
ENTRYPOINT ["/app/environmentd"]
